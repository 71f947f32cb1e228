#!/bin/busybox sh
# The first and only program of the guest: it takes an address, says what it found
# and waits to be switched off.
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin
export PATH=/bin
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do
	insmod "/lib/$module.ko" || echo "guest: $module does not load"
done </lib/order
ip link set lo up
ip link set eth0 up

# The power button, before anybody may press it.
printf '#!/bin/sh\npoweroff -f\n' >/etc/acpi/PWRF/00000080
chmod +x /etc/acpi/PWRF/00000080
acpid -d -c /etc/acpi >/dev/null 2>&1 &

# The seed of cloud-init, on the disk that has its label.
mount -t iso9660 -o ro /dev/vdb /seed 2>/dev/null
address=$(sed -n 's/.*"\([0-9.]*\/[0-9]*\)".*/\1/p' /seed/network-config 2>/dev/null | head -n 1)
gateway=$(sed -n 's/.*"via": "\([0-9.]*\)".*/\1/p' /seed/network-config 2>/dev/null | head -n 1)
if [ -z "$address" ] || grep -q kbnt.dhcp /proc/cmdline; then
	cat >/bin/lease <<'LEASE'
#!/bin/sh
[ "$1" = bound ] && ip addr add "$ip/$mask" dev eth0 && [ -n "$router" ] && ip route add default via "$router"
exit 0
LEASE
	chmod +x /bin/lease
	udhcpc -i eth0 -s /bin/lease -n -q -t 20 -T 1
else
	ip addr add "$address" dev eth0
	[ -n "$gateway" ] && ip route add default via "$gateway"
fi

{
	echo "address $(ip -4 -o addr show eth0 | awk '{print $4}')"
	echo "hardware $(cat /sys/class/net/eth0/address)"
	echo "sectors $(cat /sys/block/vda/size)"
	echo "disk $(dd if=/dev/vda bs=16 count=1 2>/dev/null | tr -d '\000')"
	echo "hostname $(sed -n 's/.*"local-hostname": "\([^"]*\)".*/\1/p' /seed/meta-data 2>/dev/null)"
	echo "keys $(grep -c ssh- /seed/user-data 2>/dev/null)"
	echo "memory $(awk '/MemTotal/ {print $2}' /proc/meminfo)"
	echo "uptime $(cut -d ' ' -f 1 /proc/uptime)"
} >/www/index.html
httpd -p 80 -h /www
printf '#!/bin/sh\necho "SSH-2.0-guest"\n' >/bin/greet
chmod +x /bin/greet
nc -ll -p 22 -e /bin/greet &
echo "guest: ready after $(cut -d ' ' -f 1 /proc/uptime) s"
while :; do sleep 3600; done
