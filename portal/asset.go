package portal

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

//go:embed static
var staticFiles embed.FS

// components are the parts of Designsystemet that the pages use, in the order
// of its own index.
func components() []string {
	return []string{"alert", "button", "error-summary", "field", "fieldset", "heading", "input", "label", "link",
		"list", "paragraph", "skip-link", "validation-message"}
}

// asset is a file whose address names its content, so that it never changes.
type asset struct {
	URL   string
	kind  string
	plain []byte
	gz    []byte
}

type assets struct {
	Style, Script, Logo asset // Logo is empty without a theme that has one
}

func loadAssets(themeDir string) (assets, error) {
	style, err := stylesheet(themeDir)
	if err != nil {
		return assets{}, err
	}
	script, err := staticFiles.ReadFile("static/matricula.js")
	if err != nil {
		return assets{}, err
	}
	a := assets{
		Style:  newAsset("style", "css", "text/css; charset=utf-8", style),
		Script: newAsset("script", "js", "text/javascript; charset=utf-8", script),
	}
	if themeDir == "" {
		return a, nil
	}
	logo, err := os.ReadFile(filepath.Join(themeDir, "logo.svg"))
	if err == nil {
		a.Logo = newAsset("logo", "svg", "image/svg+xml", logo)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return assets{}, err
	}
	return a, nil
}

// stylesheet is one file: Designsystemet in its own layers, then ours, then the
// theme, which wins over both.
func stylesheet(themeDir string) ([]byte, error) {
	var b bytes.Buffer
	var failed error
	add := func(from fs.FS, name, before, after string) {
		file, err := fs.ReadFile(from, name)
		failed = errors.Join(failed, err)
		b.WriteString(before)
		b.Write(file)
		b.WriteString(after + "\n")
	}
	add(staticFiles, "static/designsystemet/designsystemet.css", "@layer ds.theme,ds.base,ds.components;", "")
	add(staticFiles, "static/designsystemet/base.css", "@layer ds.base{", "}")
	for _, c := range components() {
		add(staticFiles, "static/designsystemet/"+c+".css", "@layer ds.components{", "}")
	}
	add(staticFiles, "static/matricula.css", "", "")
	if themeDir != "" {
		_, err := os.Stat(filepath.Join(themeDir, "theme.css"))
		if err == nil {
			add(os.DirFS(themeDir), "theme.css", "", "")
			return b.Bytes(), failed
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	add(staticFiles, "static/theme.css", "", "")
	return b.Bytes(), failed
}

func newAsset(name, ext, kind string, plain []byte) asset {
	sum := sha256.Sum256(plain)
	hash := base64.RawURLEncoding.EncodeToString(sum[:12])
	var b bytes.Buffer
	// Writing to a buffer at a valid level cannot fail.
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	_, _ = z.Write(plain)
	_ = z.Close()
	return asset{URL: staticPrefix + name + "." + hash + "." + ext, kind: kind, plain: plain, gz: b.Bytes()}
}

// static answers the few files there are. Only they may be cached.
func (s *site) static(w http.ResponseWriter, r *http.Request) {
	for _, a := range []asset{s.assets.Style, s.assets.Script, s.assets.Logo} {
		if a.URL == "" || r.URL.Path != a.URL {
			continue
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			s.refuse(w, r, wrongMethod)
			return
		}
		h, body := w.Header(), a.plain
		h.Set("Content-Type", a.kind)
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("Vary", "Accept-Encoding")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
			body = a.gz
		}
		h.Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
		return
	}
	s.refuse(w, r, pageNotFound)
}
