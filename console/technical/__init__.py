"""What no person asks for: stylesheet, scripts, whether the part is well, reports of browsers; and what keeps other sites out."""
