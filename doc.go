// Package function is the root of the image: Knative's func runtime calls New,
// and the variable KBNT_FUNCTION says whether this instance is intake, provision
// or notify. func builds nothing but the root of a module, so one image serves
// all three.
//
// There is no code of the service here. layers_test.go beside this file is the
// rule of who may import whom, for every folder of the module.
package function
