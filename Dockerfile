FROM python:3.12-slim
WORKDIR /app
COPY . .
# limit malloc to two arenas, so that freed memory returns to the system
ENV MIII_SHARED=1 MALLOC_ARENA_MAX=2 OMP_NUM_THREADS=1
RUN pip install --no-cache-dir -r requirements.txt && useradd --create-home miii
USER miii
EXPOSE 8501
CMD ["python", "-m", "streamlit", "run", "app.py", "--server.headless=true", "--server.address=0.0.0.0"]
