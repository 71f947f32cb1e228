//go:build unix

package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// lock is held by the process that has the file, until it releases it or ends,
// however it ends.
type lock struct{ file *os.File }

// acquire takes the lock, or says which process has it.
func acquire(path string) (*lock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock it: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		pid, _ := io.ReadAll(io.LimitReader(f, 20)) // unreadable is as good as empty
		return nil, errors.Join(refusal(err, string(bytes.TrimSpace(pid))), f.Close())
	}
	if err := sign(f); err != nil {
		return nil, errors.Join(fmt.Errorf("write its lock: %w", err), f.Close())
	}
	return &lock{f}, nil
}

// sign leaves the number of this process for whoever is refused.
func sign(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := fmt.Fprintf(f, "%d\n", os.Getpid())
	return err
}

func refusal(err error, pid string) error {
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("lock it: %w", err)
	}
	if pid == "" {
		pid = "unknown"
	}
	return fmt.Errorf("it is open in another process (pid %s); stop that one, or use another file", pid)
}

// release gives the lock to whoever asks next. The file stays: removing it could
// take it from one who has just opened it.
func (l *lock) release() error { return l.file.Close() }
