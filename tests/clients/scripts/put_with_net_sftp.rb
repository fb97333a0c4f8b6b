# An agency's script with net-sftp: host, port, campaign, key, known_hosts, path, name, flow [bytes].
require "net/sftp"

host, port, campaign, key, known_hosts, path, name, flow, after = ARGV

options = {
  port: port.to_i, keys: [key], keys_only: true, auth_methods: ["publickey"], non_interactive: true, config: false,
  user_known_hosts_file: known_hosts, global_known_hosts_file: [], verify_host_key: :always
}
Net::SFTP.start(host, campaign, options) do |sftp|
  case flow
  when "put"
    sftp.upload!(path, name)
  when "rename"
    sftp.upload!(path, "#{name}.tmp")
    sftp.rename!("#{name}.tmp", name)
  when "resume"
    sent = sftp.stat!(name).size
    handle = sftp.open!(name, "r+")
    File.open(path, "rb") do |local|
      local.seek(sent)
      while (block = local.read(32_000))
        sftp.write!(handle, sent, block)
        sent += block.bytesize
      end
    end
    sftp.close!(handle)
  when "fail"
    sftp.upload!(path, name) do |event, _uploader, _file, offset, _block|
      raise "the script fails here" if event == :put && offset >= after.to_i
    end
  end
end
