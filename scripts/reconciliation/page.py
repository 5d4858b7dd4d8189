def write_page(report, path):
    path.write_text("x")
