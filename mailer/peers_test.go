package mailer_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"usn.no/matricula/mailer"
)

// BenchmarkAgainstPeers hands letters to Postfix' smtp-sink, each rendered,
// marked and audited, and right after that lets smtp-source do the same with a
// text that is always the same (with a connection a message, which is its
// default, and with one that it keeps), and a script with a process a mail. All
// of it at 1, 4 and 16 connections, on the spot and 10 ms away, in rounds, so
// that a busy machine is busy for everybody; what is reported is the median round.
// The sink takes commands together (PIPELINING), which the mailer uses and
// smtp-source does not; "one by one" are the letters to a sink that does not.
// Everybody shares this machine's processors with the sink.
//
// The tools are looked for in PATH and in the folder that POSTFIX_DIR names:
//
//	apt-get download postfix && dpkg -x postfix_*.deb pf
//	POSTFIX_DIR=pf go test ./mailer -run - -bench AgainstPeers -benchtime 1x
//	POSTFIX_DIR=pf go test ./mailer -run - -bench AgainstPeers/connections=4/away=0s -benchtime 1x
func BenchmarkAgainstPeers(b *testing.B) {
	p := &peers{b: b, sink: postfixTool(b, "smtp-sink"), source: postfixTool(b, "smtp-source")}
	if p.script, _ = exec.LookPath("python3"); p.script == "" {
		b.Skip("python3 is not installed: it is the script with a process a mail")
	}
	p.measureLetter()
	for _, connections := range []int{1, 4, 16} {
		for _, away := range []time.Duration{0, 10 * time.Millisecond} {
			b.Run(fmt.Sprintf("connections=%d/away=%s", connections, away), func(b *testing.B) {
				p := *p
				p.b = b
				for b.Loop() {
					p.row(connections, away)
				}
			})
		}
	}
}

type peers struct {
	b                    *testing.B
	sink, source, script string
	size                 int
}

// peerRounds is how often everybody has a turn; one with -short, for a busy
// machine.
func peerRounds() int {
	if testing.Short() {
		return 1
	}
	return 3
}

// row measures everybody in turn.
func (p *peers) row(connections int, away time.Duration) {
	n, scripted := 1000, max(connections, 8)
	if away > 0 {
		n = 30 * connections
	}
	got := map[string][]float64{}
	for range peerRounds() {
		port, stop := p.serve(away)
		add := func(who string, n int, d time.Duration) { got[who] = append(got[who], float64(n)/d.Seconds()) }
		add("letters", n, p.letters(port, n, connections))
		add("source", n, p.run(port, p.source, "-s", strconv.Itoa(connections), "-m", strconv.Itoa(n)))
		add("kept", n, p.run(port, p.source, "-d", "-s", strconv.Itoa(connections), "-m", strconv.Itoa(n)))
		add("script", scripted, p.scripted(port, scripted, connections))
		stop()
		port, stop = p.serve(away, "-p")
		add("single", n, p.letters(port, n, connections))
		stop()
	}
	median := func(who string) float64 { slices.Sort(got[who]); return got[who][len(got[who])/2] }
	ours, single, source, kept, script := median("letters"), median("single"), median("source"), median("kept"), median("script")
	p.b.Logf("letters of %d bytes, a second: ours %.0f, one by one %.0f; smtp-source %.0f (ours %.2f, one by one %.2f times); "+
		"smtp-source -d %.0f (%.2f times); a process a mail %.1f (%.0f times)",
		p.size, ours, single, source, ours/source, single/source, kept, ours/kept, script, ours/script)
	p.b.ReportMetric(ours, "letters/s")
	p.b.ReportMetric(ours/source, "x-source")
	p.b.ReportMetric(single/source, "x-source-one-by-one")
	p.b.ReportMetric(ours/kept, "x-source-kept")
	p.b.ReportMetric(ours/script, "x-script")
}

// postfixTool finds one of Postfix' tools, unpacked or installed.
func postfixTool(b *testing.B, name string) string {
	b.Helper()
	if dir := os.Getenv("POSTFIX_DIR"); dir != "" {
		path, err := filepath.Abs(filepath.Join(dir, "usr", "sbin", name))
		if err == nil {
			_, err = os.Stat(path)
		}
		if err != nil {
			b.Fatalf("POSTFIX_DIR: %v", err)
		}
		return path
	}
	path, err := exec.LookPath(name)
	if err != nil {
		b.Skipf("%s is not there: unpack Postfix and name the folder in POSTFIX_DIR", name)
	}
	return path
}

// command runs one of the tools with the libraries that lie beside it.
func (p *peers) command(path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(p.b.Context(), path, args...)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Join(filepath.Dir(path), "..", "lib", "postfix"))
	return cmd
}

// measureLetter takes the size of a letter, so that everybody sends as much.
func (p *peers) measureLetter() {
	s := serve(p.b, &server{})
	r := newRig(p.b, s.settings())
	if err := r.deliver(request("l1", "p1@example.org")); err != nil {
		p.b.Fatal(err)
	}
	p.size = len(s.mails("")[0].Raw)
}

// serve starts a sink, with a line before it that takes its time.
func (p *peers) serve(away time.Duration, options ...string) (int, func()) {
	p.b.Helper()
	port := unusedPort(p.b)
	args := slices.Concat(options, []string{"127.0.0.1:" + strconv.Itoa(port), "1000"})
	if os.Geteuid() == 0 {
		args = append([]string{"-u", "nobody"}, args...)
	}
	sink := p.command(p.sink, args...)
	if err := sink.Start(); err != nil {
		p.b.Fatal(err)
	}
	end := func() { _ = sink.Process.Signal(syscall.SIGTERM); _ = sink.Wait() }
	if !listens(port) {
		end()
		p.b.Fatal("smtp-sink does not answer")
	}
	if away == 0 {
		return port, end
	}
	line, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.b.Fatal(err)
	}
	go func() {
		for {
			c, err := line.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				p.b.Errorf("line: %v", err)
				return
			}
			go slowLine(c, port, away/2)
		}
	}()
	return line.Addr().(*net.TCPAddr).Port, func() { _ = line.Close(); end() }
}

func unusedPort(b *testing.B) int {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().(*net.TCPAddr).Port
}

func listens(port int) bool {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if c, err := net.DialTimeout("tcp", "127.0.0.1:"+strconv.Itoa(port), 100*time.Millisecond); err == nil {
			_ = c.Close()
			return true
		}
	}
	return false
}

// slowLine carries bytes both ways, each so much later.
func slowLine(from net.Conn, port int, later time.Duration) {
	to, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		_ = from.Close()
		return
	}
	type piece struct {
		at   time.Time
		data []byte
	}
	carry := func(dst, src net.Conn) {
		pieces := make(chan piece, 1024)
		go func() {
			defer close(pieces)
			for {
				buf := make([]byte, 16<<10)
				n, err := src.Read(buf)
				if n > 0 {
					pieces <- piece{time.Now().Add(later), buf[:n]}
				}
				if err != nil {
					return
				}
			}
		}()
		for p := range pieces {
			time.Sleep(time.Until(p.at)) // waits for the piece to come to the line's end
			_, _ = dst.Write(p.data)
		}
		_ = dst.Close()
	}
	go carry(to, from)
	carry(from, to)
}

// letters is what is measured: a mailer with everything but the broker.
func (p *peers) letters(port, n, connections int) time.Duration {
	p.b.Helper()
	r := newRig(p.b, mailer.RelaySettings{
		Host: "127.0.0.1", Port: port, TLS: mailer.TLSNone, Connections: connections, Timeout: 30 * time.Second, Hello: "bench.example.no",
	})
	begun := time.Now()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				q := request(fmt.Sprintf("l%d", i), fmt.Sprintf("p%d@example.org", i))
				if err := r.Deliver(context.Background(), meta(q), q); err != nil {
					p.b.Errorf("letter %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	return time.Since(begun)
}

// run lets smtp-source send so many messages of a letter's size.
func (p *peers) run(port int, path string, args ...string) time.Duration {
	p.b.Helper()
	args = append(args, "-l", strconv.Itoa(p.size), "-f", "konto@example.no", "-t", "p@example.org", "127.0.0.1:"+strconv.Itoa(port))
	begun := time.Now()
	if out, err := p.command(path, args...).CombinedOutput(); err != nil {
		p.b.Fatalf("smtp-source: %v: %s", err, out)
	}
	return time.Since(begun)
}

// oneMail is the script: it fills in a text and sends it, and ends.
const oneMail = `
import smtplib, sys
from email.message import EmailMessage
m = EmailMessage()
m["From"], m["To"], m["Subject"] = "konto@example.no", sys.argv[2], "Aktiver brukerkontoen din"
m.set_content("Hei %s,\n" % sys.argv[2] + "x" * 70 + "\n")
m.add_alternative("<p>Hei %s</p>" % sys.argv[2], subtype="html")
with smtplib.SMTP("127.0.0.1", int(sys.argv[1])) as s:
    s.send_message(m)
`

// scripted starts a process for every mail, as many at once as there are
// connections.
func (p *peers) scripted(port, n, connections int) time.Duration {
	p.b.Helper()
	begun := time.Now()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if out, err := p.command(p.script, "-c", oneMail, strconv.Itoa(port), fmt.Sprintf("p%d@example.org", i)).CombinedOutput(); err != nil {
					p.b.Errorf("script: %v: %s", err, out)
				}
			}
		})
	}
	wg.Wait()
	return time.Since(begun)
}
