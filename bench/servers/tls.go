// tls.go: echo.go over TLS, with Go's own crypto/tls.
// Leaves out limits, time-outs and a way to stop.
// Run as: tls-go PORT FILE, with a certificate and its key in FILE
package main

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"os"
)

func serve(client net.Conn) {
	defer client.Close()
	io.Copy(client, client)
}

func main() {
	certificate, err := tls.LoadX509KeyPair(os.Args[2], os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	listener, err := tls.Listen("tcp", "127.0.0.1:"+os.Args[1], config)
	if err != nil {
		log.Fatal(err)
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go serve(client)
	}
}
