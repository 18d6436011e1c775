#!/usr/bin/env bash
# Certificates in the folder that is the argument: an authority, and what it vouches for: `server` and `client`.
set -eu
cd "$1"
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=authority 2> /dev/null
echo 'subjectAltName=DNS:localhost,IP:127.0.0.1' > san
for name in server client; do
  openssl req -newkey rsa:2048 -nodes -keyout $name.key -out $name.csr -subj /CN=$name 2> /dev/null
  openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out $name.crt -days 2 -extfile san 2> /dev/null
done
