#!/bin/sh
# Builds, deploys and verifies a version: pipeline.sh VERSION. It needs AWS_ENDPOINT_URL, AWS_REGION and the keys of a user
# that may deploy (`eval "$(greengate env)"` on the controller's machine), and SHOP_URL, where production is.
set -eu
version=$1
cd "$(dirname "$0")"
image=$(./build.sh "$version")

greengate check --appspec appspec.yaml --taskdef taskdef.json --image IMAGE1_NAME="$image" --application shop --deployment-group live

code=0
greengate deploy --appspec appspec.yaml --taskdef taskdef.json --image IMAGE1_NAME="$image" --application shop --deployment-group live \
  --description "build $version" --wait --timeout 30m || code=$?
case $code in
0) greengate verify production.yaml --base-url "$SHOP_URL" --release version="$version" ;;
4 | 6) echo "$version is not deployed; production is proven on the version before it" >&2 ;;
*) echo "$version is not deployed, or not known to be: look at production (exit code $code)" >&2 ;;
esac
exit $code
