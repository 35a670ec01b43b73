"""What a guest's root tree is made of: Debian as its cloud images have it, less what slows an emulated boot."""

from __future__ import annotations

from dataclasses import dataclass

from wizard.rehearsal.recipe import digest_of, mmdebstrap

PACKAGES = (
    "systemd",
    "systemd-sysv",
    "systemd-boot-efi",
    "udev",
    "dbus",
    "linux-image-cloud-amd64",
    "cloud-init",
    "cloud-guest-utils",
    "fdisk",
    "netplan.io",
    "openssh-server",
    "sudo",
    "qemu-guest-agent",
    "python3",
    "iproute2",
    "iputils-ping",
    "procps",
    "kmod",
    "netbase",
    "libnss-myhostname",
    "busybox-static",
)

# dpkg leaves them out: nobody reads them in a guest that lives for minutes.
UNREAD = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*")

MASKED_UNITS = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "logrotate.timer",
    "systemd-pstore.service",
    "systemd-binfmt.service",
    "proc-sys-fs-binfmt_misc.automount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "sys-fs-fuse-connections.mount",
    "cloud-init-hotplugd.socket",
)

# What the emulated disk and its file system need, without udev: the usual initrd takes longer than all the rest.
INITRD_MODULES = "virtio_pci virtio_blk crc32c_generic ext4"

INIT = """\
#!/bin/busybox sh
export PATH=/bin
busybox mount -t devtmpfs dev /dev
busybox mount -t sysfs sys /sys
for module in /modules/*; do busybox insmod "$module"; done
for uevent in /sys/class/block/*/uevent; do
  if busybox grep -q '^PARTNAME=root$' "$uevent"; then name=${uevent%/uevent}; break; fi
done
busybox mount -t ext4 -o ro "/dev/${name##*/}" /root
busybox umount /sys
busybox mount --move /dev /root/dev
exec busybox switch_root /root /sbin/init
"""

INITRD = f"""\
kernel=$(ls /lib/modules)
work=$(mktemp -d)
mkdir "$work/bin" "$work/dev" "$work/sys" "$work/root" "$work/modules"
cp /bin/busybox "$work/bin/busybox"
count=100
modprobe --set-version="$kernel" --show-depends --all {INITRD_MODULES} | while read -r verb module rest; do
  [ "$verb" = insmod ] || continue
  for there in "$work"/modules/*-"${{module##*/}}"; do [ -e "$there" ] || there=; done
  [ -n "$there" ] || cp "$module" "$work/modules/$count-${{module##*/}}"
  count=$((count + 1))
done
cat > "$work/init" <<'END'
{INIT}END
chmod 755 "$work/init"
(cd "$work" && find . | busybox cpio -o -H newc) > /boot/initrd
mv "/boot/vmlinuz-$kernel" /boot/linux
rm -r "$work" /boot/initrd.img-*
"""

# RSA keys take an emulated processor many seconds, and every module one; what is given in user data still wins.
CLOUD = """\
datasource_list: [NoCloud, None]
ssh_genkeytypes: [ed25519, ecdsa]
locale: C.UTF-8
cloud_config_modules: [locale, set-passwords, timezone, runcmd]
cloud_final_modules:
  - package-update-upgrade-install
  - write-files-deferred
  - scripts-vendor
  - scripts-per-once
  - scripts-per-boot
  - scripts-per-instance
  - scripts-user
  - keys-to-console
  - final-message
  - power-state-change
"""

FINISH = f"""\
{INITRD}
cat > /etc/cloud/cloud.cfg.d/95-image.cfg <<'END'
{CLOUD}END
rm -f /etc/cloud/cloud.cfg.d/90_dpkg.cfg
echo LANG=C.UTF-8 > /etc/default/locale
printf 'blacklist %s\\n' kvm_amd kvm_intel > /etc/modprobe.d/no-nested.conf
systemctl enable systemd-networkd.service systemd-networkd-wait-online.service
systemctl mask {" ".join(MASKED_UNITS)}
systemctl disable ssh.socket 2>/dev/null || true
systemctl enable ssh.service
rm -f /etc/ssh/ssh_host_* /etc/hostname /etc/resolv.conf
: > /etc/resolv.conf
: > /etc/machine-id
echo 'PARTLABEL=root / ext4 defaults 0 0' > /etc/fstab
rm -rf /etc/apt/sources.list.d/* /var/lib/apt/lists/* /var/cache/apt/*.bin
: > /etc/apt/sources.list
touch /etc/.updated /var/.updated
"""


@dataclass(frozen=True)
class GuestRecipe:
    """A Debian suite as a guest."""

    suite: str = "bookworm"

    @property
    def title(self) -> str:
        return f"the root tree of a Debian {self.suite} guest"

    @property
    def digest(self) -> str:
        """Changes with anything that changes the tree, except what Debian publishes."""
        return digest_of(self.command("TREE"))

    @property
    def name(self) -> str:
        return f"{self.suite}-guest-{self.digest}"

    def command(self, directory: str) -> list[str]:
        """The mmdebstrap command that makes the tree in `directory`, from Debian's own archive."""
        unread = [f"--dpkgopt=path-exclude={path}" for path in UNREAD]
        return mmdebstrap(self.suite, PACKAGES, FINISH, directory, lists=False, options=unread)
