"""Export encoders to other libraries, as folders that these load, each with a model card.

The section of an encoder kind lists its forms (`EncoderSection.exports`). A form's module has
`export(content, folder)`, which writes the files and returns Python code that loads them.
"""
