package table

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// errNotInstalled: the machine has no server of PostgreSQL.
var errNotInstalled = errors.New("PostgreSQL's server is not installed")

// postgres is a server of PostgreSQL with its own defaults: every commit is on
// the disk before it is answered. It ends with the test.
type postgres struct {
	DSN, Version string
}

func newPostgres(t testing.TB) (*postgres, error) {
	t.Helper()
	bin, err := postgresPrograms()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "postgres")
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	who, err := somebody(dir)
	if err != nil {
		return nil, err
	}
	as := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(bin, name), args...)
		cmd.Dir, cmd.SysProcAttr = dir, &syscall.SysProcAttr{Credential: who}
		return cmd
	}
	data := filepath.Join(dir, "data")
	if out, err := as("initdb", "-D", data, "-U", "kratos", "--auth=trust", "-E", "UTF8").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	address := freePort(t)
	port := address[strings.LastIndexByte(address, ':')+1:]
	server := start(t, t.TempDir(), "postgres", as("postgres", "-D", data, "-k", dir, "-h", "127.0.0.1", "-p", port))
	t.Cleanup(func() { // it has shared memory to give back
		_ = server.cmd.Process.Signal(syscall.SIGINT)
		select {
		case <-server.done:
		case <-time.After(20 * time.Second):
		}
	})
	for until := time.Now().Add(30 * time.Second); as("pg_isready", "-h", "127.0.0.1", "-p", port).Run() != nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(until) || server.ended() {
			return nil, fmt.Errorf("postgres was not ready: %s", server.tail())
		}
	}
	version, err := as("postgres", "--version").Output()
	if err != nil {
		return nil, err
	}
	words := strings.Fields(string(version)) // postgres (PostgreSQL) 15.18 (…)
	return &postgres{DSN: "postgres://kratos@127.0.0.1:" + port + "/postgres?sslmode=disable", Version: words[min(2, len(words)-1)]}, nil
}

// postgresPrograms is the folder with the server's programs: distributions keep
// them out of the path.
func postgresPrograms() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	more, _ := filepath.Glob("/usr/pgsql-*/bin/initdb")
	found = append(found, more...)
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	slices.Sort(found)
	for _, f := range slices.Backward(found) {
		if real, err := filepath.EvalSymlinks(f); err == nil {
			return filepath.Dir(real), nil
		}
	}
	return "", errNotInstalled
}

// somebody owns the folder and runs the server, which refuses to be root.
func somebody(dir string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(dir, int(uid), int(gid))
}

// migrate has Kratos make its tables.
func (p *postgres) migrate(program []string) error {
	cmd := exec.Command(program[0], append(slices.Clone(program[1:]), "migrate", "sql", "-e", "--yes")...)
	cmd.Env = append(os.Environ(), "DSN="+p.DSN)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("kratos migrate: %w: %s", err, out[max(0, len(out)-600):])
	}
	return nil
}
