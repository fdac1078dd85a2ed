#!/bin/bash
# Puts together what the image holds, as a root file system: assemble.sh BUILD NODE ROOT
#   BUILD  folder with package.json, LICENSE, dist and node_modules of run time
#   NODE   the Node binary; the libraries that it is linked with come from this machine
#   ROOT   a folder that does not exist yet
# The Dockerfile runs this in its build stage, and test/package/image.test.ts here.
set -euo pipefail
build=$1 node=$2 root=$3
mkdir -p "$root"/{app,etc,proc,dev,tmp,usr/local/bin}
chmod 1777 "$root/tmp"
# The one folder that the user of the image may write, and where it starts: what the gateway keeps by a relative name is below it.
# A new volume that is mounted here takes over its owner. Only root can give a folder away: the Dockerfile does.
state=$root/var/lib/qdrant-gateway
mkdir -p "$state"
chmod 0700 "$state"
if [ "$(id -u)" = 0 ]; then chown 1000:1000 "$state"; fi

cp "$node" "$root/usr/local/bin/node"
# `lib => /path (0x...)` and `/lib64/ld-linux... (0x...)`; the kernel's own has no path.
ldd "$node" | grep -o '/[^ )]*' | sort -u | while read -r library; do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done

# Names for the user of the image, and names of hosts by /etc/hosts and DNS: both are in the C library itself.
echo 'node:x:1000:1000:node:/var/lib/qdrant-gateway:/nonexistent' >"$root/etc/passwd"
echo 'node:x:1000:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"

cp -R "$build"/{package.json,LICENSE,dist,node_modules} "$root/app/"
# Not needed to run: types, documents but licenses, and the command line links of dependencies.
rm -rf "$root/app/node_modules/.bin" "$root/app/node_modules/.package-lock.json" "$root/app/node_modules/.setup-stamp"
find "$root/app" -type f \( -name '*.ts' -o -name '*.mts' -o -name '*.cts' -o -name '*.map' -o -name '*.md' \) ! -iname 'licen[cs]e*' -delete
chmod -R u=rwX,go=rX "$root/app" "$root/usr" "$root/etc"
