#!/usr/bin/env bash
# Name each image of the manifests by the digest that its registry has for it now. Needs docker, and the registry.
# Usage: kubectl kustomize k8s/overlays/vds | k8s/pin_images.sh > vds.yaml
set -euo pipefail

manifests=$(cat)
for image in $(sed -nE 's/^[ -]*image: ([^@]+)$/\1/p' <<< "$manifests" | sort -u); do
  digest=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$image")
  [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || { echo "error: $image: the registry gave no digest" >&2; exit 1; }
  manifests=$(sed -E "s|^([ -]*image: $image)\$|\1@$digest|" <<< "$manifests")
done
if unpinned=$(grep -E '(^|[ {,-])"?image"?:' <<< "$manifests" | grep -vE ' image: [^ ]+@sha256:[0-9a-f]{64}$'); then
  echo "error: no digest in: $unpinned" >&2
  exit 1
fi
printf '%s\n' "$manifests"
