<?php
// An agency's script with phpseclib 3: host, port, campaign, key, known_hosts, path, name, flow [bytes].
require 'phpseclib3/autoload.php';

use phpseclib3\Crypt\PublicKeyLoader;
use phpseclib3\Net\SFTP;

[, $host, $port, $campaign, $key, $known_hosts, $path, $name, $flow] = $argv;

$sftp = new SFTP($host, (int) $port);
if (!str_contains(file_get_contents($known_hosts), $sftp->getServerPublicHostKey())) {
    throw new RuntimeException('this is not the server that we know');
}
if (!$sftp->login($campaign, PublicKeyLoader::load(file_get_contents($key)))) {
    throw new RuntimeException('the login was refused');
}
// Dies in the middle of the upload.
$fail = function (int $sent) use ($argv): void {
    if ($sent >= (int) $argv[9]) {
        throw new RuntimeException('the script fails here');
    }
};
$done = match ($flow) {
    'put' => $sftp->put($name, $path, SFTP::SOURCE_LOCAL_FILE),
    'rename' => $sftp->put("$name.tmp", $path, SFTP::SOURCE_LOCAL_FILE) && $sftp->rename("$name.tmp", $name),
    'resume' => $sftp->put($name, $path, SFTP::SOURCE_LOCAL_FILE | SFTP::RESUME, -1, $sftp->filesize($name)),
    'fail' => $sftp->put($name, $path, SFTP::SOURCE_LOCAL_FILE, -1, -1, $fail),
};
if (!$done) {
    throw new RuntimeException($sftp->getLastSFTPError());
}
