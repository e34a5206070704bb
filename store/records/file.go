package records

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// part is behind the name of a file that is still written to.
const part = ".part"

// maxBuffered is how many bytes of records wait while the disk takes none.
const maxBuffered = 8 << 20

// file is the one of a format that is written to. Records are buffered until flush, which leaves whole lines on the disk only.
type file struct {
	dir, format string
	config      Config
	encode      encoder
	pending     bytes.Buffer

	out   *os.File // nil: the next record begins one
	since time.Time
	size  int64
}

// errFull is why a record is not taken.
var errFull = errors.New("too many records wait for the disk")

// add buffers a record.
func (f *file) add(r *Record) error {
	if f.pending.Len() > maxBuffered {
		return errFull
	}
	return f.encode(&f.pending, r)
}

// flush brings what is buffered onto the disk (fsync). What could not be written stays buffered.
func (f *file) flush(now time.Time) error {
	if f.pending.Len() > 0 {
		if err := f.write(now); err != nil {
			return err
		}
	}
	if f.out != nil && (f.size >= f.config.RotateBytes || now.Sub(f.since) >= f.config.RotateAfter) {
		return f.close()
	}
	return nil
}

func (f *file) write(now time.Time) error {
	if f.out == nil {
		if err := f.begin(now); err != nil {
			return err
		}
	}
	n, err := f.out.Write(f.pending.Bytes())
	if err == nil {
		err = f.out.Sync()
	}
	if err != nil { // whatever of it is there goes again: it is written anew
		return errors.Join(err, f.out.Truncate(f.size), seekTo(f.out, f.size))
	}
	f.size += int64(n)
	f.pending.Reset()
	return nil
}

func seekTo(f *os.File, at int64) error {
	_, err := f.Seek(at, io.SeekStart)
	return err
}

// begin makes the next file, of a name that sorts by time.
func (f *file) begin(now time.Time) error {
	name := filepath.Join(f.dir, "calls-"+now.UTC().Format("20060102T150405.000000Z")+"."+f.format+part)
	out, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	header := headers[f.format]
	if _, err := out.WriteString(header); err != nil {
		return errors.Join(err, out.Close(), os.Remove(name))
	}
	f.out, f.since, f.size = out, now, int64(len(header))
	return nil
}

// close gives the file its last name, under which it may be fetched.
func (f *file) close() error {
	if f.out == nil {
		return nil
	}
	name := f.out.Name()
	err := f.out.Close()
	f.out = nil
	return errors.Join(err, publish(name))
}

func publish(name string) error {
	if err := os.Rename(name, strings.TrimSuffix(name, part)); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// lock keeps the directory for one process. It ends with the file that it gives.
func lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("another process writes its records into %s: give each node a directory of its own", dir)
	}
	return f, nil
}

// recoverParts publishes the files that a killed process left, without a last line that is not whole.
func recoverParts(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, "calls-*"+part))
	if err != nil {
		return err
	}
	for _, name := range names {
		whole, err := wholeLines(name)
		if err != nil {
			return err
		}
		format := strings.TrimPrefix(filepath.Ext(strings.TrimSuffix(name, part)), ".")
		if whole <= int64(len(headers[format])) { // no record
			err = os.Remove(name)
		} else {
			err = errors.Join(os.Truncate(name, whole), publish(name))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// maxLine is more than any record has: a SIP message has 64 KiB.
const maxLine = 1 << 20

// wholeLines is how many bytes of a file are whole lines.
func wholeLines(name string) (int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	from := max(0, size-maxLine)
	tail := make([]byte, size-from)
	if _, err := f.ReadAt(tail, from); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	return from + int64(bytes.LastIndexByte(tail, '\n')+1), nil
}
