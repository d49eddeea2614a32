#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# customize.sh ROOT STAMP: what make_root.sh changes in a root file system of Debian's. STAMP is a program that prints
# the time-stamp counter.
set -eu

root=$1 stamp=$2

echo debian > "$root/etc/hostname"
# Known from the start: systemd does not take it for a machine's first boot.
echo 504f535445524e008000000000000006 > "$root/etc/machine-id"
chroot "$root" passwd --quiet --delete root

# Any Ethernet interface asks for its address.
cat > "$root/etc/systemd/network/ethernet.network" <<END
[Match]
Type=ether

[Network]
DHCP=ipv4
LinkLocalAddressing=no

[DHCPv4]
ClientIdentifier=mac
END
chroot "$root" systemctl --quiet enable systemd-networkd.service

# An emulator takes minutes for what is to be done in seconds.
mkdir -p "$root/etc/systemd/system.conf.d"
cat > "$root/etc/systemd/system.conf.d/slow.conf" <<END
[Manager]
DefaultTimeoutStartSec=15min
DefaultDeviceTimeoutSec=15min
END

# What it says is kept in memory.
mkdir -p "$root/etc/systemd/journald.conf.d"
cat > "$root/etc/systemd/journald.conf.d/memory.conf" <<END
[Journal]
Storage=volatile
END

# For `make bench`: `tsc` on the kernel's command line prints the clock before the login prompt is there.
install -m 755 "$stamp" "$root/usr/local/bin/tsc"
cat > "$root/etc/systemd/system/postern-stamp.service" <<END
[Unit]
Description=Time stamp of the boot
ConditionKernelCommandLine=tsc
DefaultDependencies=no
After=systemd-user-sessions.service
Before=serial-getty@ttyS0.service

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo "postern-guest: login at TSC \$\$(tsc)" > /dev/console'

[Install]
WantedBy=getty.target
END
chroot "$root" systemctl --quiet enable postern-stamp.service

# udev looks at the devices that are used only: disks, network interfaces and the console.
mkdir -p "$root/etc/systemd/system/systemd-udev-trigger.service.d"
cat > "$root/etc/systemd/system/systemd-udev-trigger.service.d/few.conf" <<END
[Service]
ExecStart=
ExecStart=udevadm trigger --action=add --subsystem-match=block --subsystem-match=net
ExecStart=udevadm trigger --action=add --subsystem-match=tty --sysname-match=ttyS0
END

# Nobody updates or cleans this machine; its disk needs no check and its kernel has no modules to load; entropy comes
# from the hypervisor. There are no other consoles, and no D-Bus, without which nothing looks after sessions.
chroot "$root" systemctl --quiet set-default multi-user.target
chroot "$root" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer \
    systemd-tmpfiles-clean.timer e2scrub_all.timer e2scrub_reap.service systemd-random-seed.service \
    systemd-networkd-wait-online.service systemd-hwdb-update.service systemd-firstboot.service systemd-repart.service \
    systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-pstore.service systemd-logind.service \
    systemd-modules-load.service kmod-static-nodes.service modprobe@configfs.service modprobe@drm.service \
    modprobe@efi_pstore.service modprobe@fuse.service modprobe@loop.service modprobe@dm_mod.service \
    systemd-journal-flush.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount \
    sys-fs-fuse-connections.mount sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    dev-hugepages.mount dev-mqueue.mount systemd-ask-password-console.path systemd-ask-password-wall.path \
    systemd-initctl.socket systemd-network-generator.service systemd-remount-fs.service \
    getty-static.service getty@tty1.service cryptsetup.target integritysetup.target veritysetup.target

# Each of these is a process of each boot, for what is not there.
mkdir -p "$root/etc/systemd/system-generators"
for name in bless-boot cryptsetup debug fstab gpt-auto hibernate-resume integritysetup rc-local run system-update sysv \
    veritysetup; do
    ln -s /dev/null "$root/etc/systemd/system-generators/systemd-$name-generator"
done

rm -rf "$root"/usr/lib/udev/hwdb.bin "$root"/etc/udev/hwdb.bin "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* \
    "$root"/var/log/*.log "$root"/var/log/apt "$root"/var/cache/debconf/*-old
# Nothing is to be brought up to date at the first boot.
touch "$root/etc/.updated" "$root/var/.updated"
