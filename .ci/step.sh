# Sourced first by every step: a failure ends the step, it works from any folder, and it installs missing packages.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# alone COMMAND...: runs a command while no other step does, for what they share.
alone() {
    mkdir -p target
    (flock 9 && "$@") 9>target/.ci-lock
}

as_root() {
    if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

# need PACKAGE...: installs those Debian packages that are missing.
need() { alone install_missing "$@"; }
install_missing() {
    local package missing=()
    for package in "$@"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
            missing+=("$package")
    done
    ((${#missing[@]})) || return 0

    echo "installing ${missing[*]}"
    local apt=(as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
    "${apt[@]}" update
    "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null
}

# need_zig: sets ZIG to a compiler that supports Apple's formats. It comes as a Python package, which is
# put into a folder of its own.
need_zig() {
    local version=0.17.0
    local folder=$PWD/target/apple/ziglang-$version
    export ZIG=$folder/ziglang/zig
    export ZIG_GLOBAL_CACHE_DIR=$folder/cache ZIG_LOCAL_CACHE_DIR=$folder/cache
    need_wheel "$folder" "ziglang==$version"
}

need_pip() {
    python3 -m pip --version >/dev/null 2>&1 || need python3 python3-pip
}

# need_wheel FOLDER PACKAGE==VERSION: installs a Python package into a folder of its own.
need_wheel() {
    need_pip
    alone install_wheel "$@"
}
install_wheel() {
    [[ ! -e $1 ]] || return 0
    echo "installing $2"
    rm -rf "$1.part"
    python3 -m pip install -q --no-deps --root-user-action ignore --target "$1.part" "$2"
    mv "$1.part" "$1"
}

# debian_cargo TARGET_DIR: from here on cargo is Debian's, whose compiler comes with its library's
# source and with libraries for other machines. It shares no folder with the toolchain's own builds.
debian_cargo() {
    need rustc-web cargo-web
    export RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc CARGO_TARGET_DIR=$PWD/$1
    unset RUSTUP_TOOLCHAIN CARGO
    # Unused debug information would be most of the linker's output.
    export CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_STRIP=none
    cargo() { /usr/bin/cargo "$@"; }
}

# seed_of_commit: random tests, and choices of what to test, are others for each commit.
seed_of_commit() {
    need git
    ARUMINIUM_TEST_SEED=$((16#$(git rev-parse HEAD | cut -c 1-6)))
    export ARUMINIUM_TEST_SEED
    echo "ARUMINIUM_TEST_SEED=$ARUMINIUM_TEST_SEED"
}
