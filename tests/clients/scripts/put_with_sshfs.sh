#!/bin/sh
# An agency's script with sshfs: host, port, campaign, key, known_hosts, path, name, flow [bytes].
set -eu
source="$3@$1:/" port=$2 key=$4 known_hosts=$5 path=$6 name=$7 flow=$8
mount=$(mktemp -d)
# With -s sshfs sends its requests in the order in which the kernel gives them.
sshfs -s "$source" "$mount" -p "$port" -F none -o IdentityFile="$key" -o IdentitiesOnly=yes \
    -o UserKnownHostsFile="$known_hosts" -o StrictHostKeyChecking=yes
trap 'fusermount3 -u "$mount"; rmdir "$mount"' EXIT
case $flow in
    put) cp "$path" "$mount/$name" ;;
    rename) cp "$path" "$mount/$name.tmp" && mv "$mount/$name.tmp" "$mount/$name" ;;
    resume) tail -c "+$(($(stat -c %s "$mount/$name") + 1))" "$path" >>"$mount/$name" ;;
esac
# The kernel gives CLOSE to sshfs only after cp has ended, and an unmount drops one that still waits. This question goes to the
# gateway behind it, and is answered after it.
stat -f "$mount" >/dev/null
