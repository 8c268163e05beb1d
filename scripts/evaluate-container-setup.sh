#!/bin/sh
# Makes the image `localhost/entropo-swe-bench-test`, which has what SWE-bench's images have, in small: git, bash, patch and a
# repository at /testbed; and `localhost/entropo-hidden-test`, the same with what R2E-Gym's and SWE-smith's images have beside
# it and an agent must not see; and `localhost/entropo-graded-test`, by which rows of both are judged: shell scripts stand for
# Python, and a program for pytest; and `localhost/entropo-bare-test`, the same without R2E-Gym's hidden tests. Run
# scripts/container-test-setup.sh first, as root; nothing is pulled: programs are this machine's.
#
#   scripts/evaluate-container-setup.sh
set -eu

image=localhost/entropo-swe-bench-test
hidden=localhost/entropo-hidden-test
graded=localhost/entropo-graded-test
bare=localhost/entropo-bare-test
for program in podman git bash patch ldd; do
    command -v $program >/dev/null || { echo "evaluate-container-setup: install $program first" >&2; exit 1; }
done
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/bin" "$root/usr/bin" "$root/etc" "$root/tmp" "$root/proc" "$root/sys" "$root/dev" "$root/root" "$root/workspace"
cp /bin/busybox "$root/bin/busybox"
for applet in $(/bin/busybox --list); do
    case $applet in busybox | bash | patch) ;; *) ln -sf busybox "$root/bin/$applet" ;; esac
done
for program in git bash patch; do
    path=$(command -v $program)
    cp -L "$path" "$root/usr/bin/$program"
    for library in $(ldd "$path" | grep -o '/[^ ]*'); do
        mkdir -p "$root$(dirname "$library")"
        cp -L "$library" "$root$library"
    done
done
ln -sf /usr/bin/bash "$root/bin/bash"
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
mkdir "$root/testbed"
(
    cd "$root/testbed"
    echo 'echo helo' >greet.sh
    echo 'Greets.' >README
    git init -q
    git add .
    git -c user.name=a -c user.email=b commit -qm one
)
tar -C "$root" -c . | podman import --quiet --change 'ENV PATH=/usr/bin:/bin' - "$image:latest"
(
    # R2E-Gym's hidden tests and what runs them.
    mkdir "$root/testbed/r2e_tests" "$root/r2e_tests" "$root/root/r2e_tests"
    for directory in "$root/testbed/r2e_tests" "$root/r2e_tests" "$root/root/r2e_tests"; do
        echo 'assert greet() == "secret"' >"$directory/test_1.py"
    done
    echo 'pytest r2e_tests # secret' >"$root/testbed/run_tests.sh"
    # The tests of a repository of SWE-smith.
    mkdir "$root/testbed/tests"
    echo 'def test_greets(): assert greet() == "secret"' >"$root/testbed/tests/test_greet.py"
    echo 'def test_rules(): pass' >"$root/testbed/tests/test_rules.py"
)
tar -C "$root" -c . | podman import --quiet --change 'ENV PATH=/usr/bin:/bin' - "$hidden:latest"
(
    cd "$root/testbed"
    rm -rf r2e_tests run_tests.sh "$root/r2e_tests" "$root/root/r2e_tests"
    # Whole, as SWE-smith's repositories are; and with a fault, as R2E-Gym's are.
    echo 'echo hello' >greet.sh
    echo 'echo $((1 - 2))' >add.py
    cat >tests/test_greet.py <<'END'
[ "$(sh greet.sh)" = hello ] && echo 'tests/test_greet.py::test_greets PASSED [ 50%]' || echo 'tests/test_greet.py::test_greets FAILED [ 50%]'
END
    cat >tests/test_rules.py <<'END'
[ -f README ] && echo 'tests/test_rules.py::test_rules PASSED [100%]' || echo 'tests/test_rules.py::test_rules FAILED [100%]'
END
    git add .
    git -c user.name=a -c user.email=b commit -qm two
    # SWE-smith's environment.
    mkdir -p "$root/opt/miniconda3/bin"
    echo 'conda() { :; }' >"$root/opt/miniconda3/bin/activate"
    cat >"$root/usr/bin/pytest" <<'END'
#!/bin/sh
[ -f slow ] && sleep 60
code=0
for file in tests/test_*.py; do
    sh "$file" >/tmp/printed || code=3
    cat /tmp/printed
    ! grep -q FAILED /tmp/printed || code=1
done
exit $code
END
    chmod +x "$root/usr/bin/pytest"
    # R2E-Gym's hidden tests, and what runs them.
    mkdir "$root/r2e_tests"
    cat >"$root/r2e_tests/test_1.py" <<'END'
[ "$(sh add.py)" = 3 ] && printf '\033[32mPASSED\033[0m r2e_tests/test_1.py::test_adds\r\n' || echo 'FAILED r2e_tests/test_1.py::test_adds - assert -1 == 3'
[ -f README ] && echo 'PASSED r2e_tests/test_1.py::Case::test_rules' || echo 'FAILED r2e_tests/test_1.py::Case::test_rules'
END
    cat >run_tests.sh <<'END'
[ -f slow ] && sleep 60
echo '=== short test summary info ==='
code=0
for file in r2e_tests/test_*.py; do
    sh "$file" >/tmp/printed || code=3
    cat /tmp/printed
    ! grep -q FAILED /tmp/printed || code=1
done
echo '=== some passed in 0.01s ==='
[ ! -f crash ] || code=3
exit $code
END
)
tar -C "$root" -c . | podman import --quiet --change 'ENV PATH=/usr/bin:/bin' - "$graded:latest"
rm -rf "$root/r2e_tests"
tar -C "$root" -c . | podman import --quiet --change 'ENV PATH=/usr/bin:/bin' - "$bare:latest"
echo "evaluate-container-setup: ready"
