// Package image holds what Knative's func makes of this module: the program that
// becomes the image. Its tests build it the way func does, without func, and start
// it as a container would: with an environment and nothing else.
//
// Those that need a PostgreSQL have the build tag integration; all others run
// with make test. BenchmarkColdStart measures, and asserts nothing.
package image
