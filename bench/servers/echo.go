// echo.go: a goroutine for each client, and io.Copy, which splices where the kernel can.
// Leaves out limits, time-outs and a way to stop.
// Run as: go PORT (built) or: go run echo.go PORT
package main

import (
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
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
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
