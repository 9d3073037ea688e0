"""What a training checks, finds and keeps apart before its first step."""
