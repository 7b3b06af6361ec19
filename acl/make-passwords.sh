#!/bin/sh
# Makes a random password for each user of users.acl, once, and the file that Redis reads: the
# same users with their passwords.
#
# Compose mounts these files into the containers with the owner and mode they have here, and
# there other users read them (65532 the services, 999 Redis). So everybody may read the files,
# but only you may enter the folder that they are in.
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
