# An agency's script with Net::SFTP::Foreign: host, port, campaign, key, known_hosts, path, name, flow [bytes].
use strict;
use warnings;
use Net::SFTP::Foreign;

my ($host, $port, $campaign, $key, $known_hosts, $path, $name, $flow, $after) = @ARGV;

my $sftp = Net::SFTP::Foreign->new(
    $host,
    user     => $campaign,
    port     => $port,
    key_path => $key,
    more     => [
        '-F', 'none', '-o', 'IdentitiesOnly=yes',
        '-o', "UserKnownHostsFile=$known_hosts", '-o', 'StrictHostKeyChecking=yes',
    ],
);
$sftp->die_on_error('no connection');

# Dies in the middle of the upload.
sub fail {
    my (undef, undef, $sent) = @_;
    die "the script fails here\n" if $sent >= $after;
}

my %options = (
    put    => [],
    rename => [atomic => 1],
    resume => [resume => 1],
    fail   => [callback => \&fail],
);
$sftp->put($path, $name, @{ $options{$flow} });
$sftp->die_on_error('the upload failed');
