#!/usr/bin/env bash
# Set up a node: shared storage, nrtune in an environment of its own, what a login shell needs.
# `ray up` and the autoscaler run it on every node; what is there already stays as it is.
#
#   setup-node.sh FOLDER          FOLDER is storage that all nodes see
#   setup-node.sh FOLDER SOURCE   the same, mounted from the NFS export SOURCE (host:/path) first
#
# WHEELHOUSE=/srv/nrtune/wheelhouse setup-node.sh … installs from that folder alone, which `make wheelhouse` has filled: nodes
# need no internet for it (Debian's packages aside, where one is missing).
set -euo pipefail
# shellcheck source=clusters/common.sh
. "$(dirname "$0")/common.sh"

folder=${1:?name the shared folder}
source=${2:-}

mount_nfs() {
  install_packages nfs-common
  # hard: a server that is away for a while makes processes wait, not fail.
  local options=nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,noresvport,_netdev,nofail
  local line="$source $folder nfs4 $options 0 0"
  as_root mkdir -p "$folder"
  grep -qxF "$line" /etc/fstab || printf '%s\n' "$line" | as_root tee -a /etc/fstab >/dev/null
  mountpoint -q "$folder" || as_root mount "$folder"
}

# Ray mounts the token that all nodes and clients share; without one, anybody on the network could run code here.
token="$HOME/.ray/auth_token"
[ -s "$token" ] || fail "$token is missing: run \`ray get-auth-token --generate\` where you run \`ray up\`"
chmod 600 "$token"

[ -z "$source" ] || mount_nfs
[ -d "$folder" ] || as_root mkdir -p "$folder"
[ -w "$folder" ] || as_root chown "$(id -u):$(id -g)" "$folder"

mkdir -p "$HERE"
exec 9>"$HERE/.lock"          # homes may be shared by nodes that are set up at the same time
flock 9
wheel=
for file in "$HERE"/dist/nrtune-*.whl; do   # the newest: earlier versions may lie beside it
  if [ -z "$wheel" ] || [ "$file" -nt "$wheel" ]; then wheel=$file; fi
done
[ -f "$wheel" ] || fail "no wheel was sent: run \`make dist\` before \`ray up\`"
wanted=$(cat "$wheel" "$HERE/constraints.txt" | sha256sum)
if [ "$(cat "$VENV/.installed" 2>/dev/null)" != "$wanted" ]; then
  say "installing $(basename "$wheel")"
  python=$(command -v python3.11 || command -v python3) || fail "there is no python3"
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "$python is older than Python 3.11"
  if [ ! -x "$VENV/bin/python" ]; then
    "$python" -c 'import ensurepip' 2>/dev/null || install_packages python3-venv
    "$python" -m venv "$VENV"
  fi
  pip=("$VENV/bin/python" -m pip install --quiet --disable-pip-version-check)
  if [ -n "${WHEELHOUSE:-}" ]; then
    [ -d "$WHEELHOUSE" ] || fail "WHEELHOUSE=$WHEELHOUSE: there is no such folder on this node"
    pip+=(--no-index --find-links "$WHEELHOUSE")
  fi
  "${pip[@]}" --constraint "$HERE/constraints.txt" "nrtune[cluster] @ file://$wheel"
  "${pip[@]}" --no-deps --force-reinstall "$wheel"   # another build of the same version
  printf '%s\n' "$wanted" >"$VENV/.installed"
fi

cat >"$HERE/environment" <<END
export PATH="$VENV/bin:\$PATH"
export RAY_AUTH_MODE=token
export RAY_USAGE_STATS_ENABLED=0
END
line=". \"$HERE/environment\""
grep -qxF "$line" "$HOME/.bashrc" 2>/dev/null || printf '%s\n' "$line" >>"$HOME/.bashrc"
say "node is set up"
