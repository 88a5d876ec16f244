//go:build unix

package standalone

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// takeLock takes a file for this process until it is closed or the process
// ends, however it ends. Someone who only looks holds it for a moment.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(500 * time.Millisecond); ; {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(deadline) {
			_ = f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				err = ErrInUse
			}
			return nil, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// lockHeld tells whether a process has taken the file.
func lockHeld(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

// freeLock leaves the file: deleting it would let two processes lock two files
// of one name.
func freeLock(f *os.File) { _ = f.Close() }
