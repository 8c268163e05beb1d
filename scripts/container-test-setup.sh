#!/bin/sh
# Prepares a machine for the tests of container sandboxes: Podman, its service and the image `localhost/entropo-test`.
#
#   scripts/container-test-setup.sh [--configure]
#
# Nothing is pulled: the image is a statically linked busybox. With --configure, or in CI (the variable CI is set),
# Podman is configured for machines that are containers themselves, where systemd runs nothing and limits of resources
# cannot be raised; this writes /etc/containers/containers.conf, and an existing other one is kept beside it.
set -eu

image=localhost/entropo-test
socket=/run/podman/podman.sock
settings=/etc/containers/containers.conf
marker='# written by container-test-setup.sh'

say() { echo "container-test-setup: $*"; }
fail() { say "$*" >&2; exit 1; }

configure=${CI:+yes}
for argument; do
    case $argument in
    --configure) configure=yes ;;
    *) fail "unknown argument $argument; the only one is --configure" ;;
    esac
done
[ "$(id -u)" = 0 ] || fail "run this as root: the tests use the service of the system at $socket"

install() {
    missing=
    command -v podman >/dev/null || missing="$missing podman"
    command -v runc >/dev/null || missing="$missing runc"
    # One with dynamic libraries would not start in an image without them.
    [ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1 || missing="$missing busybox-static"
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || fail "install these first:$missing"
    say "installing$missing"
    apt-get update -qq
    # shellcheck disable=SC2086 # names of packages, separated by spaces
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
}

write_settings() {
    [ -n "$configure" ] || return 0
    mkdir -p "$(dirname "$settings")"
    if [ -e "$settings" ] && ! grep -qF "$marker" "$settings"; then
        say "keeping the old $settings as $settings.old"
        mv "$settings" "$settings.old"
    fi
    cat >"$settings" <<END
$marker
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"

[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
END
}

serve() {
    if curl --silent --fail --max-time 5 --unix-socket "$socket" http://d/_ping >/dev/null 2>&1; then
        say "the service runs already"
        return 0
    fi
    mkdir -p "$(dirname "$socket")"
    rm -f "$socket"
    say "starting the service"
    # Not from here: without the directory in which it was started it starts no container any more.
    (cd / && exec setsid podman system service --time=0 "unix://$socket" </dev/null >/tmp/entropo-podman.log 2>&1) &
    tries=0
    until [ -S "$socket" ]; do
        tries=$((tries + 1))
        [ "$tries" -le 100 ] || fail "no service after 10 s: $(cat /tmp/entropo-podman.log)"
        sleep 0.1
    done
}

build() {
    if podman image exists "$image"; then
        say "there is $image already"
        return 0
    fi
    root=$(mktemp -d)
    mkdir -p "$root/bin" "$root/etc" "$root/tmp" "$root/proc" "$root/sys" "$root/dev" "$root/root" "$root/workspace"
    cp /bin/busybox "$root/bin/busybox"
    for applet in $(/bin/busybox --list); do
        [ "$applet" = busybox ] || ln -sf busybox "$root/bin/$applet"
    done
    echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
    echo 'root:x:0:' >"$root/etc/group"
    echo 'entropo' >"$root/etc/entropo-test"
    say "building $image"
    tar -C "$root" -c . | podman import --quiet --change 'ENV IMAGE=entropo-test' - "$image:latest"
    # And one without a shell.
    mkdir -p "$root/empty/dev" && echo nothing >"$root/empty/readme"
    tar -C "$root/empty" -c . | podman import --quiet - "$image-no-shell:latest"
    rm -rf "$root"
}

install
write_settings
serve
build
say "ready"
