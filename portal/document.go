package portal

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"
)

//go:embed documents
var documentFiles embed.FS

const maxDocument = 256 << 10

// documents is one text in every language. All have one version.
type documents map[string]document

// document is a text an institution is answerable for: the IT rules, the
// privacy notice. It is written in a small part of Markdown: a "# title",
// "## headings", "- items" and paragraphs.
type document struct {
	Version string
	Hash    string // hex SHA-256 of the text as shown
	Title   string
	Body    template.HTML // on a page of its own
	Part    template.HTML // below a heading of another page

	blocks []block
}

// blocks is what a document is written from.
type blocks struct {
	Blocks []block
	Below  bool
}

// block is a heading, a list or a paragraph.
type block struct {
	Heading string
	Items   []string
	Text    string
}

// loadDocuments reads nb.md, nn.md and en.md from dir, or from the texts that
// come with the program.
func loadDocuments(kind, dir string, in Institution) (documents, error) {
	from, err := fs.Sub(documentFiles, "documents/"+kind)
	if err != nil {
		return nil, err
	}
	if dir != "" {
		from = os.DirFS(dir)
	}
	all := documents{}
	for _, lang := range offered() {
		b, err := fs.ReadFile(from, lang+".md")
		if err != nil {
			return nil, fmt.Errorf("%s text: %w", kind, err)
		}
		d, err := parseDocument(b, in.in(lang))
		if err != nil {
			return nil, fmt.Errorf("%s text %s.md: %w", kind, lang, err)
		}
		if all[lang] = d; d.Version != all[bokmal].Version {
			return nil, fmt.Errorf("%s text %s.md has version %q, nb.md has %q", kind, lang, d.Version, all[bokmal].Version)
		}
	}
	return all, nil
}

func parseDocument(b []byte, in Institution) (document, error) {
	if len(b) > maxDocument || !utf8.Valid(b) {
		return document{}, errors.New("text is longer than 256 KiB or no UTF-8")
	}
	support := in.SupportEmail
	if support == "" {
		support = in.SupportURL
	}
	text := strings.NewReplacer("\r\n", "\n", "{institution}", in.Name, "{support}", support).Replace(string(b))
	first, body, _ := strings.Cut(text, "\n")
	version, ok := strings.CutPrefix(first, "version:")
	d := document{Version: strings.TrimSpace(version)}
	if !ok || d.Version == "" {
		return document{}, errors.New(`first line is not "version: …"`)
	}
	sum := sha256.Sum256([]byte(text))
	d.Hash = hex.EncodeToString(sum[:])
	for paragraph := range strings.SplitSeq(body, "\n\n") {
		d.add(strings.TrimSpace(paragraph))
	}
	if d.Title == "" || len(d.blocks) == 0 {
		return document{}, errors.New(`text has no "# title" or nothing below it`)
	}
	return d, nil
}

// add takes one paragraph, in which a list may follow a line of text.
func (d *document) add(paragraph string) {
	var text, items []string
	for line := range strings.SplitSeq(paragraph, "\n") {
		line = strings.TrimSpace(line)
		if title, ok := strings.CutPrefix(line, "# "); ok {
			d.Title = title
		} else if heading, ok := strings.CutPrefix(line, "## "); ok {
			d.blocks = append(d.blocks, block{Heading: heading})
		} else if item, ok := strings.CutPrefix(line, "- "); ok {
			items = append(items, item)
		} else if len(items) > 0 && line != "" {
			items[len(items)-1] += " " + line
		} else if line != "" {
			text = append(text, line)
		}
	}
	if len(text) > 0 {
		d.blocks = append(d.blocks, block{Text: strings.Join(text, " ")})
	}
	if len(items) > 0 {
		d.blocks = append(d.blocks, block{Items: items})
	}
}
