#!/usr/bin/env bash
# prepare.sh STATE SOURCE - make what the system tests boot: the image, our packages in two releases, and a layer over the image in
# which the first one is installed
#
# STATE is a folder of the build; the files `bare` and `installed` in it name the layers of a root, uppermost first. When it cannot be
# done here, `skipped` says why to every test.
set -euo pipefail
state=$1 source=$2
umask 022

rm -rf "$state"
mkdir -p "$state/layer" "$state/work" "$state/root"
status=0
image=$("$(dirname "$0")/image.sh" 2>"$state/why") || status=$?
cat "$state/why"
if [[ $status -eq 77 ]]; then
        mv "$state/why" "$state/skipped"
        exit 77
fi
[[ $status -eq 0 ]]

"$source/script/package" --quick --output "$state/packages"
"$source/script/package" --quick --output "$state/upgrade" --release 2

# In a namespace of its own: the mount goes with it.
export state image
if ! unshare --mount --propagation private bash -euc '
        mount -t overlay overlay -o "lowerdir=$image,upperdir=$state/layer,workdir=$state/work" "$state/root" || exit 77
        mkdir "$state/root/packages"
        mount --bind "$state/packages" "$state/root/packages"
        chroot "$state/root" sh -c "dpkg --install /packages/*.deb"
        umount "$state/root/packages"
        rmdir "$state/root/packages"
        chroot "$state/root" sh -c "useradd --user-group alice && useradd --user-group --groups vgpu bob && useradd --user-group --groups vgpu carol"
' >"$state/log" 2>&1; then
        cat "$state/log"
        ! grep -q "mount: .*overlay" "$state/log" || { echo "skipped: this folder cannot be a layer of an overlay" | tee "$state/skipped"; exit 77; }
        exit 1
fi
rm -rf "$state/work"
echo "$image" >"$state/bare"
echo "$state/layer:$image" >"$state/installed"
