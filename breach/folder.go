package breach

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// folder is a folder of range files, one a prefix: "0A1B2.txt", upper or lower
// case, with or without an ending.
type folder struct {
	dir    string
	format string
	has    []bool // by prefix
}

// listFolder reads the names once; it opens nothing.
func listFolder(dir string) (folder, error) {
	d, err := os.Open(dir)
	if err != nil {
		return folder{}, err
	}
	defer func() { _ = d.Close() }() // only read
	f := folder{dir: dir, has: make([]bool, prefixes)}
	sure := false // that the case of the digits is known
	for {
		names, err := d.Readdirnames(4096)
		for _, n := range names {
			stem, ending, dotted := strings.Cut(n, ".")
			prefix, bad := strconv.ParseUint(stem, 16, 20)
			if bad != nil || len(stem) != 5 {
				continue
			}
			f.has[prefix] = true
			if sure {
				continue
			}
			f.format, sure = "%05X", strings.ToUpper(stem) != strings.ToLower(stem)
			if strings.ContainsAny(stem, "abcdef") {
				f.format = "%05x"
			}
			if dotted {
				f.format += "." + strings.ReplaceAll(ending, "%", "%%")
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return folder{}, err
		}
	}
	if f.format == "" {
		return folder{}, fmt.Errorf("%s holds no range file (0A1B2.txt)", dir)
	}
	return f, nil
}

func (f folder) path(prefix int) string {
	return filepath.Join(f.dir, fmt.Sprintf(f.format, prefix))
}

// missing answers the first prefix without a file, and how many there are.
func (f folder) missing() (first string, n int) {
	for prefix, has := range f.has {
		if has {
			continue
		}
		if n++; n == 1 {
			first = f.path(prefix)
		}
	}
	return first, n
}
