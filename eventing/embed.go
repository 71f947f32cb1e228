package eventing

import "embed"

// Schemas holds the folder schemas: one file per data type and version, named
// <name>-<version> with the extension .avsc (Avro) or .schema.json (JSON
// Schema). A version that was ever sent stays, for events outlive the code.
//
//go:embed schemas
var Schemas embed.FS

// Manifests holds the folder manifests: the complete Kubernetes documents that
// wire the functions together on Knative, one kind and purpose per file, and
// the kustomization.yaml that lists them. The local platform plays these very
// files. Overlays patch them and live elsewhere.
//
//go:embed manifests
var Manifests embed.FS
