#!/usr/bin/env escript
%% An agency's script with Erlang's ssh_sftp: host, port, campaign, key, known_hosts, path, name, flow [bytes].

main([Host, Port, Campaign, Key, KnownHosts, Path, Name, Flow | After]) ->
    {ok, _} = application:ensure_all_started(ssh),
    %% Erlang looks for keys under fixed names in one folder, beside known_hosts.
    Folder = filename:dirname(KnownHosts),
    {ok, _} = file:copy(Key, filename:join(Folder, "id_ed25519")),
    {ok, Channel, Connection} = ssh_sftp:start_channel(Host, list_to_integer(Port), [
        {user, Campaign},
        {user_dir, Folder},
        {auth_methods, "publickey"},
        {silently_accept_hosts, false},
        {save_accepted_host, false},
        {user_interaction, false}
    ]),
    {ok, Content} = file:read_file(Path),
    ok = send(Flow, Channel, Content, Name, After),
    ssh_sftp:stop_channel(Channel),
    ssh:close(Connection).

send("put", Channel, Content, Name, _) ->
    ssh_sftp:write_file(Channel, Name, Content);
send("rename", Channel, Content, Name, _) ->
    ok = ssh_sftp:write_file(Channel, Name ++ ".tmp", Content),
    ssh_sftp:rename(Channel, Name ++ ".tmp", Name);
send("resume", Channel, Content, Name, _) ->
    %% Without `read`, the mode `write` begins anew.
    {ok, Handle} = ssh_sftp:open(Channel, Name, [read, write, binary]),
    {ok, Sent} = ssh_sftp:position(Channel, Handle, eof),
    ok = ssh_sftp:write(Channel, Handle, binary:part(Content, Sent, byte_size(Content) - Sent)),
    ssh_sftp:close(Channel, Handle);
send("fail", Channel, Content, Name, [After]) ->
    {ok, Handle} = ssh_sftp:open(Channel, Name, [write, binary]),
    write_until(list_to_integer(After), Channel, Handle, Content).

write_until(After, _, _, _) when After =< 0 ->
    error("the script fails here");
write_until(After, Channel, Handle, <<Block:32768/binary, Rest/binary>>) ->
    ok = ssh_sftp:write(Channel, Handle, Block),
    write_until(After - 32768, Channel, Handle, Rest).
