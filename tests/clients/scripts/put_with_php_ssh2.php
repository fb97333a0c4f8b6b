<?php
// An agency's script with PHP's ssh2: host, port, campaign, key, known_hosts, path, name, flow [bytes].
[, $host, $port, $campaign, $key, $known_hosts, $path, $name, $flow] = $argv;

function need(mixed $value, string $what): mixed
{
    return $value !== false ? $value : throw new RuntimeException("$what failed");
}

$session = need(ssh2_connect($host, (int) $port), 'the connection');
$expected = array_map(
    fn (string $line): string => strtoupper(sha1(base64_decode(explode(' ', $line)[2]))),
    file($known_hosts)
);
if (!in_array(ssh2_fingerprint($session, SSH2_FINGERPRINT_SHA1 | SSH2_FINGERPRINT_HEX), $expected, true)) {
    throw new RuntimeException('this is not the server that we know');
}
need(ssh2_auth_pubkey_file($session, $campaign, "$key.pub", $key), 'the login');
$sftp = need(ssh2_sftp($session), 'SFTP');
$folder = 'ssh2.sftp://' . (int) $sftp;

switch ($flow) {
    case 'put':
        need(copy($path, "$folder/$name"), 'the upload');
        break;
    case 'rename':
        need(copy($path, "$folder/$name.tmp"), 'the upload');
        need(ssh2_sftp_rename($sftp, "/$name.tmp", "/$name"), 'the rename');
        break;
    case 'resume':
        $remote = need(fopen("$folder/$name", 'r+'), 'opening');
        $sent = ssh2_sftp_stat($sftp, "/$name")['size'];
        need(fseek($remote, $sent) === 0, 'seeking');
        need(fwrite($remote, substr(file_get_contents($path), $sent)), 'the upload');
        need(fclose($remote), 'closing');
        break;
    case 'fail':
        $remote = need(fopen("$folder/$name", 'w'), 'opening');
        foreach (str_split(file_get_contents($path), 8192) as $number => $block) {
            if ($number * 8192 >= (int) $argv[9]) {
                throw new RuntimeException('the script fails here');
            }
            need(fwrite($remote, $block), 'the upload');
        }
}
