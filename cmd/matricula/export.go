package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"usn.no/matricula/deploy"
)

// exportDeploy writes out what operators read: the very files that the tests
// start their servers from.
func exportDeploy(w io.Writer, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // nothing secret in it
		return err
	}
	if err := writeWhole(filepath.Join(dir, "matricula.toml"), deploy.Sample, 0o644); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(w, filepath.Join(dir, "matricula.toml"))
	for _, kit := range []fs.FS{deploy.LDAP, deploy.NATS, deploy.Platforms} {
		err := fs.WalkDir(kit, ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			raw, err := fs.ReadFile(kit, path)
			if err != nil {
				return err
			}
			_, _ = fmt.Fprintln(w, filepath.Join(dir, path))
			return writeWhole(filepath.Join(dir, path), string(raw), 0o644)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
