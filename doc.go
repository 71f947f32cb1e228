// Package function is the root of the image: Knative's func runtime starts it,
// and it becomes intake, provision or notify. That entry point, function.go,
// comes with the image; until then the platform runs on one machine by cmd/kbnt.
//
// There is no code of the service here. layers_test.go beside this file is the
// rule of who may import whom, for every folder of the module.
package function
