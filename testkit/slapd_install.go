package testkit

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// slapdInstall is where an OpenLDAP server lies.
type slapdInstall struct {
	Program   string
	Modules   string
	Schema    string
	Libraries string // LD_LIBRARY_PATH, empty for the system's own
}

func (i *slapdInstall) command(args ...string) *exec.Cmd {
	cmd := exec.Command(i.Program)
	cmd.Args = args
	cmd.Env = os.Environ()
	if i.Libraries != "" {
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+i.Libraries)
	}
	return cmd
}

// findSlapd looks on the system, else unpacks the distribution's packages into
// the user's cache folder. TESTKIT_SLAPD=unpacked passes the system's by.
var findSlapd = sync.OnceValues(func() (*slapdInstall, error) {
	if os.Getenv("TESTKIT_SLAPD") != "unpacked" {
		if i, err := slapdIn("/"); err == nil {
			return i, nil
		}
	}
	i, err := unpackedSlapd()
	if err != nil {
		return nil, fmt.Errorf("not installed (packages slapd and slapd-contrib), and not to be unpacked: %w", err)
	}
	return i, nil
})

// slapdIn looks below root, in the places where distributions put things.
func slapdIn(root string) (*slapdInstall, error) {
	programs := []string{"usr/sbin/slapd", "usr/libexec/slapd", "usr/lib/openldap/slapd", "usr/local/libexec/slapd"}
	modules := []string{"usr/lib/ldap", "usr/lib64/openldap", "usr/lib/openldap", "usr/local/libexec/openldap"}
	schemas := []string{"etc/ldap/schema", "etc/openldap/schema", "usr/local/etc/openldap/schema"}
	i := &slapdInstall{}
	if root == "/" {
		if path, err := exec.LookPath("slapd"); err == nil {
			i.Program = path
		}
	}
	for _, p := range programs {
		if exists(root, p) && i.Program == "" {
			i.Program = filepath.Join(root, p)
		}
	}
	for _, m := range modules {
		if exists(root, m, "argon2.so") && i.Modules == "" {
			i.Modules = filepath.Join(root, m)
		}
	}
	for _, s := range schemas {
		if exists(root, s, "inetorgperson.schema") && i.Schema == "" {
			i.Schema = filepath.Join(root, s)
		}
	}
	if i.Program == "" || i.Modules == "" || i.Schema == "" {
		return nil, errors.New("slapd, its argon2 module or its schema files are not there")
	}
	return i, nil
}

func exists(parts ...string) bool {
	_, err := os.Stat(filepath.Join(parts...))
	return err == nil
}

// unpackedSlapd is the packages' content in a cache folder, made on first use.
func unpackedSlapd() (*slapdInstall, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	root := filepath.Join(cache, "matricula", "slapd")
	if !exists(root) {
		if err := unpackSlapd(root); err != nil {
			return nil, err
		}
	}
	i, err := slapdIn(root)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", root, err)
	}
	var dirs []string
	for _, pattern := range []string{"usr/lib/*-linux-*", "lib/*-linux-*"} {
		found, _ := filepath.Glob(filepath.Join(root, pattern))
		dirs = append(dirs, found...)
	}
	i.Libraries = strings.Join(dirs, ":")
	return i, nil
}

// slapdNeeds are the packages that slapd and its modules load code from, by the
// beginnings of their names: the rest changes with the release.
var slapdNeeds = regexp.MustCompile(`^(slapd|slapd-contrib|lib(ldap|ltdl|odbc|argon2|sasl2-2|wrap|gnutls|nettle|hogweed|` +
	`p11-kit|idn2|unistring|tasn1|gmp|tirpc3|nsl|ffi|gssapi-krb5|krb5-3|krb5support|k5crypto|com-err|keyutils|crypt1)[0-9a-z.-]*)$`)

// unpackSlapd fetches the packages without root and installs nothing.
func unpackSlapd(root string) error {
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(root), "unpack")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	if err := fetchPackages(work); err != nil {
		return err
	}
	debs, _ := filepath.Glob(filepath.Join(work, "*.deb"))
	tree := filepath.Join(work, "root")
	for _, deb := range debs {
		if _, err := output(work, "dpkg-deb", "-x", deb, tree); err != nil {
			return err
		}
	}
	// A .la file sends the loader to /usr/lib/ldap; without it the module
	// beside it is taken.
	las, _ := filepath.Glob(filepath.Join(tree, "usr/lib/ldap/*.la"))
	for _, la := range las {
		if err := os.Remove(la); err != nil {
			return err
		}
	}
	if err := os.Rename(tree, root); err != nil && !exists(root) { // else another test was faster
		return err
	}
	return nil
}

// fetchPackages downloads with the machine's package lists, or where there are
// none with lists of its own.
func fetchPackages(work string) error {
	retry := []string{"-o", "Acquire::Retries=5"} // a mirror may be busy
	private := []string{retry[0], retry[1], "-o", "Dir::State=" + filepath.Join(work, "state"), "-o", "Dir::Cache=" + filepath.Join(work, "cache")}
	err := download(work, retry)
	if err == nil {
		return nil
	}
	for _, d := range []string{"state/lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(work, d), 0o755); err != nil {
			return err
		}
	}
	if _, update := output(work, "apt-get", append(slices.Clone(private), "-q", "update")...); update != nil {
		return errors.Join(err, update)
	}
	return download(work, private)
}

func download(work string, options []string) error {
	closure, err := output(work, "apt-cache", append(slices.Clone(options), "depends", "--recurse", "--no-recommends", "--no-suggests",
		"--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances", "slapd", "slapd-contrib")...)
	if err != nil {
		return err
	}
	var names []string
	for _, line := range strings.Split(closure, "\n") {
		if slapdNeeds.MatchString(line) {
			names = append(names, line)
		}
	}
	if len(names) == 0 {
		return errors.New("apt knows no package slapd")
	}
	_, err = output(work, "apt-get", slices.Concat(options, []string{"-q", "download"}, names)...)
	return err
}

func output(dir string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, args[0], err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}
