# What both set-up scripts use; sourced, not run.
# shellcheck shell=bash

HERE="$HOME/nrtune"           # where `ray up` puts the wheel, constraints.txt and these scripts
# shellcheck disable=SC2034
VENV="$HERE/venv"

say() { printf 'nrtune: %s\n' "$*"; }

fail() {
  printf 'nrtune: %s\n' "$*" >&2
  exit 1
}

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

# Install those of some Debian packages that are not there. A fresh machine may be busy with its own updates: wait.
install_packages() {
  local package missing=()
  for package in "$@"; do
    dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed \
      || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]}"
  as_root apt-get -qq -o DPkg::Lock::Timeout=600 update
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -o DPkg::Lock::Timeout=600 install --yes --no-install-recommends "${missing[@]}" >/dev/null
}

# Write standard input to a file of root's. True where that changed it.
write_as_root() {
  local content
  content=$(cat)
  [ "$(as_root cat "$1" 2>/dev/null)" != "$content" ] || return 1
  as_root mkdir -p "$(dirname "$1")"
  printf '%s\n' "$content" | as_root tee "$1" >/dev/null
}
