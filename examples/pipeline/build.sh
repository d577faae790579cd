#!/bin/sh
# Builds a version and prints its image: build.sh VERSION. Here it is a folder below $BUILDS, which must outlive the job: its
# tasks run in it, as processes of the controller's machine. Where tasks are containers this is `docker build` and `docker push`.
set -eu
version=$1
cd "$(dirname "$0")"
build=${BUILDS:-$PWD/dist}/$version
rm -rf "$build"
mkdir -p "$build"
cp app/shop.py "$build"
echo "$version" > "$build/VERSION"
echo "process:$build"
