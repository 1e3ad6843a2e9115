"""The rules of one login: fed frames and moments, asked for requests and events. No socket, no thread, no clock."""
