# What Ray on a node is started with, so that no other account of the machine, and nobody on its network, sees into it;
# sourced before `ray start`. It sets RAY_FOLDER, for --temp-dir.
# shellcheck shell=bash

# Ray makes the folder that it is given writable to everybody: around it lies one that this account alone can enter.
private=/tmp/nrtune-$(id -u)
mkdir -m 700 "$private" 2>/dev/null || true
if [ -L "$private" ] || [ ! -d "$private" ] || [ ! -O "$private" ]; then
  printf 'nrtune: %s is not a folder of this account; another one has made it, and it has to be removed\n' "$private" >&2
  false
else
  chmod 700 "$private"
  # shellcheck disable=SC2034
  RAY_FOLDER=$private/r
  # Metrics are told to whoever asks, without the token. There is no port -1: these servers do not start.
  export RAY_enable_metrics_collection=0 AUTOSCALER_METRIC_PORT=-1 DASHBOARD_METRIC_PORT=-1
  # What a worker prints goes without end into one file otherwise.
  export RAY_ROTATION_MAX_BYTES=10000000 RAY_ROTATION_BACKUP_COUNT=1
fi
