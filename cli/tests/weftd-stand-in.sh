#!/bin/sh
# Stands in for weftd where only its exit status and the arguments that it gets count.
echo "called with $*"
[ "$3" != bad.toml ]
