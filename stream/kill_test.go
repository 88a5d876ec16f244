package stream

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"usn.no/matricula/events"
	"usn.no/matricula/testkit"
)

// With these set the test binary is a broker and nothing else.
const envDir, envAddress = "STREAM_TEST_BROKER_DIR", "STREAM_TEST_BROKER_ADDRESS"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envDir); dir != "" {
		serveBroker(dir)
	}
	os.Exit(m.Run())
}

// serveBroker runs until it is killed, or its parent's pipe closes.
func serveBroker(dir string) {
	at, err := netip.ParseAddrPort(os.Getenv(envAddress))
	if err != nil {
		fmt.Println("address:", err)
		os.Exit(1)
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "killed", Host: at.Addr().String(), Port: int(at.Port()), NoSigs: true, NoLog: true, JetStream: true, StoreDir: dir, SyncAlways: true,
	})
	if err != nil {
		fmt.Println("server:", err)
		os.Exit(1)
	}
	s.Start()
	if !s.ReadyForConnections(60 * time.Second) {
		fmt.Println("server is not ready")
		os.Exit(1)
	}
	fmt.Println("url " + s.ClientURL())
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	os.Exit(0)
}

// child is a broker in a process of its own.
type child struct {
	cmd *exec.Cmd
	url string
}

func startChild(t *testing.T, dir, address string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0], "-test.run=^$")}
	c.cmd.Env = append(os.Environ(), envDir+"="+dir, envAddress+"="+address)
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); c.kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "url ")
	if err != nil || !ok {
		t.Fatalf("broker process says %q, %v", line, err)
	}
	c.url = url
	return c
}

func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

func TestKilledBrokerLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	dir, address := t.TempDir(), testkit.FreeAddress(t)
	c := startChild(t, dir, address)
	nc, err := Connect(Options{URL: c.url, Name: "test", More: []nats.Option{nats.ReconnectWait(10 * time.Millisecond), nats.Timeout(5 * time.Second)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := JetStream(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx := patience(t)
	if err := Declare(ctx, js, testSettings(), false); err != nil {
		t.Fatal(err)
	}
	p := NewPublisher(js)
	claims := NewClaims(p)
	stop := make(chan struct{})
	var count atomic.Int64
	var acked sync.Map
	var wait sync.WaitGroup
	for w := range 20 {
		wait.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("w%d-%d", w, i)
				if err := p.Publish(ctx, fact(id), letter(id)); err != nil {
					t.Errorf("%s was not stored: %v", id, err)
					return
				}
				keys := []string{"num." + id, "src." + id}
				held, err := claims.Take(ctx, keys, []byte(id))
				for events.IsUnavailable(err) && ctx.Err() == nil {
					held, err = claims.Take(ctx, keys, []byte(id))
				}
				if err != nil || len(held) > 0 { // empty: ours already, the answer was lost
					t.Errorf("claims of %s: %v, %v", id, held, err)
					return
				}
				acked.Store(id, true)
				count.Add(1)
			}
		})
	}
	for range 3 {
		before := count.Load()
		eventually(t, "60 more were written", func() bool { return count.Load() >= before+60 || t.Failed() })
		c.kill()
		c = startChild(t, dir, address)
	}
	close(stop)
	wait.Wait()
	seen := map[string]int{}
	if err := Tail(ctx, js, TailOptions{}, func(e events.Event) error { seen[e.ID]++; return nil }); err != nil {
		t.Fatal(err)
	}
	acked.Range(func(id, _ any) bool {
		if n := seen[id.(string)]; n != 1 {
			t.Errorf("fact %s is %d times in AUDIT, want once", id, n)
		}
		got, err := claims.Read(ctx, []string{"num." + id.(string), "src." + id.(string)})
		if err != nil || len(got) != 2 {
			t.Errorf("claims of %s are %v, %v", id, got, err)
		}
		return true
	})
	if got := messages(t, js, Mail); got != uint64(count.Load()) {
		t.Errorf("MAIL holds %d letters, %d were acknowledged", got, count.Load())
	}
	if found, err := Verify(ctx, js); err != nil || len(found) > 0 {
		t.Errorf("verify: %q, %v", found, err)
	}
}
