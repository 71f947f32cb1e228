//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package local

import "os"

// lock only sees to it that the file can be written: this system has no flock,
// so two processes on one folder are not kept apart.
func lock(name string) (unlock func() error, err error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return file.Close, nil
}
