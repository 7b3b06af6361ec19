#!/bin/sh
# Makes a random password for each user of users.acl, once, and writes the file that Redis reads:
# the same users with their passwords.
#
# Compose mounts these files into the containers with their owner and mode. There, other users
# read them (65532 for the services, 999 for Redis). So everyone may read the files, but only you
# may enter their folder.
set -eu
cd "$(dirname "$0")"

mkdir -p passwords
chmod 700 passwords
umask 022
while read -r user name rules; do
    if [ "$name" = default ]; then
        echo "$user $name $rules"
        continue
    fi
    [ -s "passwords/$name" ] || head -c 32 /dev/urandom | base64 >"passwords/$name"
    echo "$user $name >$(cat "passwords/$name") $rules"
done <users.acl >passwords/users.acl
echo "The passwords are in $PWD/passwords."
