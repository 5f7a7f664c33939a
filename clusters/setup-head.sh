#!/usr/bin/env bash
# Set up the head, after setup-node.sh: PostgreSQL, and an MLflow server on it that systemd keeps running.
# It serves on 127.0.0.1:5522 and nowhere else: MLflow's usual 5000 is AirPlay's on a Mac, where the tunnel ends. A second run changes nothing that is right already.
#
#   setup-head.sh ARTIFACTS   where MLflow keeps files: a folder, or s3://bucket/path
set -euo pipefail
# shellcheck source=clusters/common.sh
. "$(dirname "$0")/common.sh"

artifacts=${1:?name a folder or an s3:// address for the artifacts}
user=$(id -un)
# PostgreSQL knows the user by the socket that it asks through: there is no password to keep.
database="postgresql+psycopg2:///mlflow?host=/var/run/postgresql"

[ -d /run/systemd/system ] || fail "the head needs systemd, which keeps PostgreSQL and MLflow running"
install_packages postgresql

# Debian's unit does not restart a server that was killed.
if write_as_root /etc/systemd/system/postgresql@.service.d/nrtune.conf <<'END'
[Service]
Restart=always
RestartSec=2
END
then as_root systemctl daemon-reload; fi
as_root systemctl enable --quiet --now postgresql

as_postgres() { (cd / && as_root runuser -u postgres -- "$@"); }
for _ in $(seq 60); do
  if as_postgres pg_isready --quiet; then break; fi
  sleep 1
done
ask() { as_postgres psql --no-psqlrc --tuples-only --no-align --command "$1"; }
[ "$(ask "SELECT 1 FROM pg_roles WHERE rolname = '$user'")" = 1 ] || as_postgres createuser "$user"
[ "$(ask "SELECT 1 FROM pg_database WHERE datname = 'mlflow'")" = 1 ] || as_postgres createdb --owner "$user" mlflow

case $artifacts in s3://*) ;; *) mkdir -p "$artifacts" ;; esac
# With other versions installed the unit differs, and so the server is started again.
if write_as_root /etc/systemd/system/nrtune-mlflow.service <<END
# $(sha256sum <"$HERE/constraints.txt")
[Unit]
Description=MLflow server of nrtune
After=network-online.target remote-fs.target postgresql.service
Wants=network-online.target postgresql.service

[Service]
User=$user
Environment=MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
ExecStartPre="$VENV/bin/mlflow" db upgrade $database
ExecStart="$VENV/bin/mlflow" server --host 127.0.0.1 --port 5522 --workers 2 \\
  --backend-store-uri $database --artifacts-destination "$artifacts"
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
END
then
  as_root systemctl daemon-reload
  as_root systemctl restart nrtune-mlflow
fi
as_root systemctl enable --quiet --now nrtune-mlflow

answers() { "$VENV/bin/python" -c 'import urllib.request as u; u.urlopen("http://127.0.0.1:5522/health", timeout=5)'; }
for _ in $(seq 120); do
  if answers 2>/dev/null; then
    say "MLflow answers on http://127.0.0.1:5522"
    exit 0
  fi
  sleep 1
done
as_root journalctl --unit nrtune-mlflow --lines 40 --no-pager >&2
fail "the MLflow server does not answer"
