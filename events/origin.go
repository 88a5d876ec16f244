package events

import (
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// Origin is where the broker first stored a message. What is put aside and
// comes back later lies in another place then, on a subject of ours, and
// carries its origin in headers.
type Origin struct {
	Stream   string
	Sequence uint64
	Subject  string    // as the sender published it, without the partition
	Received time.Time // when the broker first stored it
	Attempts int       // deliveries before it was last put aside
}

const (
	headerStream   = "Matricula-Stream"
	headerSequence = "Matricula-Sequence"
	headerSubject  = "Matricula-Subject"
	headerReceived = "Matricula-Received"
	headerAttempts = "Matricula-Attempts"
)

// Put writes o into the header of what is put aside.
func (o Origin) Put(header map[string][]string) {
	header[headerStream] = []string{o.Stream}
	header[headerSequence] = []string{strconv.FormatUint(o.Sequence, 10)}
	header[headerSubject] = []string{o.Subject}
	header[headerReceived] = []string{o.Received.UTC().Format(time.RFC3339Nano)}
	header[headerAttempts] = []string{strconv.Itoa(o.Attempts)}
}

// Trace answers where a message comes from, o being the place it was delivered
// from. Its headers are believed only on the subjects that nobody but our own
// processes may write: a source could name another's subject otherwise.
func (o Origin) Trace(header map[string][]string) Origin {
	o.Subject = Unpartition(o.Subject)
	if !strings.HasPrefix(o.Subject, "wait.due.") && !strings.HasPrefix(o.Subject, "mail.") {
		return o
	}
	h := textproto.MIMEHeader(header)
	sequence, err := strconv.ParseUint(h.Get(headerSequence), 10, 64)
	if err != nil || h.Get(headerSubject) == "" || h.Get(headerStream) == "" {
		return o
	}
	o.Stream, o.Sequence, o.Subject = h.Get(headerStream), sequence, h.Get(headerSubject)
	if t, err := time.Parse(time.RFC3339Nano, h.Get(headerReceived)); err == nil {
		o.Received = t
	}
	if n, err := strconv.Atoi(h.Get(headerAttempts)); err == nil && n > 0 {
		o.Attempts = n
	}
	return o
}
