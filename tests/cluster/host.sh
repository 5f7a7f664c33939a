#!/usr/bin/env bash
# A machine of its own, as far as processes can tell: started in fresh pid, mount, uts, ipc and cgroup namespaces, it boots systemd
# on a copy of this machine's files whose changes lie in DIR/changes. SHARED is at /srv/nrtune, as a file server would put it.
#
#   host.sh DIR IMAGE SHARED NAME    IMAGE: a folder with files/, which it has beside this machine's, and nrtune/, its /root/nrtune
set -euo pipefail
dir=$1 image=$2 shared=$3 name=$4
mount --make-rprivate /
if [ ! -e "$dir" ]; then
  mkdir -p "$dir"/{root,work,nrtune,nrtune-work}
  cp -a "$image/files" "$dir/changes"
  printf '%s\n' "$name" >"$dir/changes/etc/hostname"
fi
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/changes,workdir=$dir/work" "$dir/root"
mkdir -p "$dir/root/root/nrtune"
mount -t overlay overlay -o "lowerdir=$image/nrtune,upperdir=$dir/nrtune,workdir=$dir/nrtune-work" "$dir/root/root/nrtune"
mkdir -p "$dir/root/srv/nrtune"
mount --bind "$shared" "$dir/root/srv/nrtune"
cd "$dir/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs tmpfs sys/fs/cgroup
mount -t cgroup2 none sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount -t tmpfs tmpfs dev
for device in null zero full random urandom tty; do
  touch "dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
mount -t tmpfs tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for stream in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${stream%:*}" "dev/${stream#*:}"; done
mkdir -p old
pivot_root . old
cd /
umount -l /old
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin container=nrtune \
  /lib/systemd/systemd --unit=multi-user.target --log-target=null
