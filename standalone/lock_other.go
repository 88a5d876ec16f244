//go:build !unix

package standalone

import (
	"errors"
	"io/fs"
	"os"
)

// takeLock makes a file that must not exist, and holds it open. A process that
// is killed leaves it behind; elsewhere than on Unix it has to be deleted by
// hand then.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, ErrInUse
	}
	return f, err
}

func lockHeld(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func freeLock(f *os.File) {
	_ = f.Close()
	_ = os.Remove(f.Name())
}
