#!/usr/bin/env bash
# Builds the image and deploys the functions with Knative's func (1.23 or newer).
#
#   REGISTRY=registry.example/kbnt config/func.sh image    # or make image
#   config/func.sh deploy                                  # or make deploy
#
# func writes into the folder it works on (func.yaml loses its comments), so it
# works on copies.
set -euo pipefail
cd "$(dirname "$0")/.."

die() {
	echo "kbnt: $*" >&2
	exit 1
}

need() { command -v "$1" >/dev/null || die "$1 is not installed: $2"; }

version=$(git describe --tags --always --dirty 2>/dev/null || echo devel)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# image builds and pushes what git knows or would know of the tree; bin/image
# then holds its name with the digest.
image() {
	need func https://knative.dev/docs/functions/install-func
	[ -n "${REGISTRY:-}" ] || die "REGISTRY is not set: where to push the image, such as REGISTRY=registry.example/kbnt"
	git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
		[ ! -e "$file" ] || printf '%s\0' "$file"
	done | tar -c --null -T - | tar -x -C "$scratch"
	(cd "$scratch" && func build --builder host --push --registry "$REGISTRY")
	[ -s "$scratch/.func/built-image" ] || die "func did not say what it built: .func/built-image is missing"
	mkdir -p bin
	cp "$scratch/.func/built-image" bin/image
	echo "$(cat bin/image) ($version)"
}

# named prints what the func.yaml files mount and refer to, as kubectl calls it:
# configmap/kbnt-settings, secret/kbnt-store.
named() {
	sed 's/#.*//' func.yaml functions/*/func.yaml | grep -oE '(configMap|secret): *[a-z0-9-]+' | sed 's/configMap/configmap/; s/: */\//' | sort -u
}

# deploy runs that image as the three functions, each as its func.yaml says. They
# must find their namespace, service accounts, ConfigMaps and Secrets.
deploy() {
	need func https://knative.dev/docs/functions/install-func
	need kubectl https://kubernetes.io/docs/tasks/tools
	[ -s bin/image ] || die "there is no image: REGISTRY=... make image builds one"
	kubectl get --request-timeout=10s namespace kbnt -o name >/dev/null ||
		die "no cluster answers, or it has no namespace kbnt; kubectl config current-context says which one is asked"
	local missing
	# shellcheck disable=SC2046 # several names
	missing=$(kubectl -n kbnt get $(named) serviceaccount/kbnt-{intake,provision,notify} -o name 2>&1 >/dev/null || true)
	[ -z "$missing" ] || die "the cluster is not prepared (kubectl apply -k config/cluster/minimal or production; config/cluster/secrets):
$missing"
	for folder in . functions/provision functions/notify; do
		mkdir -p "$scratch/$folder"
		cp "$folder/func.yaml" "$scratch/$folder"
		FUNC_BUILD=false FUNC_PUSH=false func deploy --path "$scratch/$folder" --image "$(cat bin/image)" --env "KBNT_VERSION=$version"
	done
}

case "${1:-}" in
image | deploy) "$1" ;;
*) die "usage: config/func.sh image|deploy" ;;
esac
